//! Whether an image can run on this node.

use super::Image;

/// Why an image cannot run here, if it is for another processor and nobody asked for that.
pub fn unfit(image: &Image, platform: &str) -> Option<String> {
    unfit_on(std::env::consts::ARCH, crate::report::facts::processor(), image, platform)
}

/// The same for a node with an agent built for `here`, whose processor is `processor`.
fn unfit_on(here: &str, processor: &str, image: &Image, platform: &str) -> Option<String> {
    let mut parts = platform.split('/');
    let (os, arch, variant) = match (parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(arch), variant) => (os, arch, variant.unwrap_or_default()),
        _ => ("linux", "", ""),
    };
    let fits_here = matches!(
        (here, image.arch.as_str()),
        ("x86_64", "amd64" | "386")
            | ("aarch64", "arm64" | "arm")
            | ("arm", "arm")
            | ("riscv64", "riscv64")
            | ("x86", "386")
    );
    // The instructions of ARMv7 are none of an ARMv6, though both are called arm.
    let is_too_new = processor == "armv6" && image.arch == "arm" && matches!(&*image.variant, "v7" | "v8");
    let is_other = !variant.is_empty() && !image.variant.is_empty() && image.variant != variant;
    let fits = image.os == os
        && (if arch.is_empty() { fits_here && !is_too_new } else { image.arch == arch && !is_other });
    let node = if processor == "armv6" { processor } else { here };
    let named =
        if arch.is_empty() { format!("this node is {node}") } else { format!("{platform} is wanted") };
    let variant = if image.variant.is_empty() { String::new() } else { format!("/{}", image.variant) };
    (!fits && !image.arch.is_empty())
        .then(|| format!("the image is for {}/{}{variant}, {named}", image.os, image.arch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_fits_the_processor_it_is_for() {
        let check = |node: (&str, &str), image: &str, platform: &str, expected: &str| {
            let mut parts = image.split('/').map(str::to_owned);
            let mut next = || parts.next().unwrap_or_default();
            let (os, arch, variant) = (next(), next(), next());
            let image =
                Image { id: String::new(), os, arch, variant, healthcheck: None, volumes: Vec::new() };
            assert_eq!(unfit_on(node.0, node.1, &image, platform).unwrap_or_default(), expected);
        };
        let (zero, two, four) = (("arm", "armv6"), ("arm", "armv7"), ("aarch64", "aarch64"));
        check(zero, "linux/arm/v7", "", "the image is for linux/arm/v7, this node is armv6");
        check(zero, "linux/arm/v6", "", "");
        check(zero, "linux/arm", "", "");
        check(two, "linux/arm/v7", "", "");
        check(four, "linux/arm/v7", "", "");
        check(four, "linux/arm64/v8", "", "");
        check(four, "linux/amd64", "", "the image is for linux/amd64, this node is aarch64");
        check(four, "linux/amd64", "linux/amd64", "");
        check(four, "linux/arm/v6", "linux/arm/v7", "the image is for linux/arm/v6, linux/arm/v7 is wanted");
        check(four, "", "", "");
    }
}
