//! Sentences as people say them.

use super::*;

#[test]
fn a_sentence_is_taken_apart_into_needs() {
    let cases = [
        (
            "ad blocking dns, photos backup and a password manager on a Pi 4 with 2 GB",
            "ad blocking dns | photos backup | password manager",
        ),
        ("I need a password manager for my family", "password manager"),
        ("Please give me redis and mosquitto, plus a dashboard", "redis | mosquitto | dashboard"),
        ("pi hole and home assistant", "pi hole | home assistant"),
        ("pi-hole on my Raspberry Pi 3", "pi-hole"),
        ("我需要广告拦截、照片备份和密码管理，树莓派4，2GB", "我需要广告拦截 | 照片备份 | 密码管理"),
        ("写真バックアップとパスワード管理", "写真バックアップ | パスワード管理"),
        ("a database AND a database and monitoring", "database | monitoring"),
        ("jellyfin with 8 GB RAM and 200 GB of disk", "jellyfin"),
        ("zigbee2mqtt", "zigbee2mqtt"),
        ("for my and with, the", ""),
        ("", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text, &Known::default()).needs.join(" | "), expected, "{text}");
    }
}

#[test]
fn what_is_said_of_the_machine_is_understood() {
    let cases = [
        ("dns on a Pi 4 with 2 GB", "aarch64 2GiB Raspberry Pi 4"),
        ("dns on a pi zero", "armv6 - Raspberry Pi Zero"),
        ("dns, Raspberry Pi Zero 2 W", "aarch64 - Raspberry Pi Zero 2 W"),
        ("dns on a Pi with 4 GB", "aarch64 4GiB Raspberry Pi"),
        ("树莓派4 2GB 内存", "aarch64 2GiB Raspberry Pi 4"),
        ("dns with 512MB of memory on amd64", "x86_64 512MiB -"),
        ("dns in 1.5 GiB ram", "- 1536MiB -"),
        ("pihole, pi hole and pi-hole", "- - -"),
        ("rpi3", "aarch64 - Raspberry Pi 3"),
    ];
    for (text, expected) in cases {
        let machine = read(text, &Known::default()).machine;
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let arch = shown(machine.arch.map(|arch| arch.to_string()));
        let memory = shown(machine.memory.map(|memory| memory.to_string()));
        assert_eq!(format!("{arch} {memory} {}", shown(machine.model)), expected, "{text}");
    }
    let machine = read("an llm with a gpu, 4 cores and 100 GB ssd", &Known::default()).machine;
    assert_eq!((machine.capabilities, machine.cores), (vec!["gpu".to_owned()], Some(4.0)));
    assert_eq!(machine.disk, Some(ByteSize(100 << 30)));
    assert!(read("an llm without gpu", &Known::default()).machine.capabilities.is_empty());
}

#[test]
fn names_of_the_fleet_are_recognised() {
    let known = Known { nodes: &["attic", "cellar-1"], labels: &[("room", "kitchen"), ("disk", "ssd")] };
    let found = read("redis on cellar-1, mqtt in the kitchen and nextcloud with disk=ssd", &known);
    assert_eq!(found.needs, ["redis", "mqtt", "nextcloud"]);
    assert_eq!(found.nodes, ["cellar-1"]);
    let labels: Vec<String> = found.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["room=kitchen", "disk=ssd"]);
    assert_eq!(read("an attic fan control", &known).nodes, Vec::<String>::new());
}

#[test]
fn nothing_makes_it_panic() {
    for text in [
        "é€和",
        "9999999999999999999999999999 GB",
        "1..2 GB",
        " pi",
        "pi 4",
        "2 GB",
        "、、和和",
        "x\u{0}y",
        "0.0.0.0 G",
        "１２ GB",
        "4gbram",
    ] {
        read(text, &Known { nodes: &["pi"], labels: &[("", "")] });
    }
    read(&"和 and 4 GB é".repeat(10_000), &Known::default());
}
