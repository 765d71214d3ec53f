use std::path::Path;
use std::process::Command;

use super::*;

#[test]
fn what_was_signed_verifies_and_nothing_else() {
    let key = SecretKey::generate().expect("random numbers");
    let other = SecretKey::generate().expect("random numbers");
    let signature = key.sign(b"a package", "m@1.0.0").expect("signs");
    let read = Signature::parse(&signature.to_text()).expect("reads back");
    assert_eq!(read, signature);
    let trusted = TrustedKeys { keys: vec![other.public(), key.public()] };
    assert_eq!(trusted.verify(&read, b"a package").map(|key| key.id), Ok(key.id()));
    assert_eq!(trusted.verify(&read, b"a packagf"), Err(SignatureError::Mismatch { id: key.id() }));
    let changed = Signature { trusted_comment: "m@1.0.1".to_owned(), ..read.clone() };
    assert_eq!(trusted.verify(&changed, b"a package"), Err(SignatureError::Comment { id: key.id() }));
    let strangers = TrustedKeys { keys: vec![other.public()] };
    let known = other.id().to_string();
    let expected = Err(SignatureError::NotTrusted { id: key.id(), known });
    assert_eq!(strangers.verify(&read, b"a package"), expected);
    // Another key under the same id.
    let impostor = TrustedKeys { keys: vec![PublicKey { id: key.id(), ..other.public() }] };
    assert_eq!(impostor.verify(&read, b"a package"), Err(SignatureError::Mismatch { id: key.id() }));
    assert_eq!(TrustedKeys::default().verify(&read, b""), Err(SignatureError::NoKeys));
    assert!(key.sign(b"", "two\nlines").is_err());
}

#[test]
fn keys_read_back_what_they_write_and_hide_the_secret() {
    let key = SecretKey::generate().expect("random numbers");
    let text = key.to_text();
    let again = SecretKey::parse(&text).expect("reads back");
    assert_eq!((again.to_text(), again.public()), (text.clone(), key.public()));
    assert!(!format!("{key:?}").contains("seed: ["));
    let public = PublicKey::parse(&key.public().to_text()).expect("reads back");
    assert_eq!((public.id, public.bytes), (key.id(), key.public().bytes));
    let list = format!("# mine\n{} # me\n\n{}", public.to_line(), key.public().to_text());
    let trusted = TrustedKeys::parse(&list).expect("a list");
    assert_eq!((trusted.keys.len(), trusted.keys[0].comment.as_str()), (1, "me"));
    assert_eq!(TrustedKeys::parse(&trusted.to_text()), Ok(trusted));
}

#[test]
fn what_is_no_key_or_signature_is_refused_with_its_line() {
    let key = SecretKey::generate().expect("random numbers");
    let signature = key.sign(b"x", "c").expect("signs").to_text();
    let lines: Vec<&str> = signature.lines().collect();
    let cases = [
        (String::new(), "line 1 of the signature: expected \"untrusted comment: …\""),
        (lines[0].to_owned(), "line 2 of the signature: expected the base64 of a signature"),
        (signature.replace(lines[1], &lines[1][4..]), "line 2 of the signature: expected the base64"),
        (signature.replace(lines[1], "!"), "line 2 of the signature: expected the base64"),
        (signature.replace("\ntrusted comment", "\ncomment"), "line 3 of the signature: expected \"trusted"),
        (lines[..3].join("\n"), "line 4 of the signature: expected the base64 of the comment's signature"),
        (format!("{signature}more"), "line 5 of the signature: expected the end"),
        ("x".repeat(20_000), "the signature is larger than 16384 bytes"),
    ];
    for (text, says) in cases {
        let error = Signature::parse(&text).expect_err(says).to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let list = TrustedKeys::parse("# ok\nnonsense").expect_err("no key").to_string();
    assert_eq!(list, "line 2 of the list of trusted keys: expected a public key");
    let text = key.to_text();
    let encoded = text.lines().nth(1).expect("a second line");
    let with = |at: usize, byte: u8| {
        let mut bytes = BASE64.decode(encoded).expect("base64");
        bytes[at] = byte;
        SecretKey::parse(&text.replace(encoded, &BASE64.encode(bytes))).expect_err("damaged")
    };
    assert_eq!(with(2, b'S'), SignatureError::Protected);
    assert_eq!(with(157, with_other(encoded)), SignatureError::Checksum);
}

fn with_other(encoded: &str) -> u8 {
    !BASE64.decode(encoded).expect("base64")[157]
}

/// Both ways with the tool itself, where it is installed (Debian: `minisign`).
#[test]
fn minisign_verifies_ours_and_we_verify_its() {
    if Command::new("minisign").arg("-v").output().is_err() {
        eprintln!("minisign is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let minisign = |arguments: &[&str]| {
        let output =
            Command::new("minisign").args(arguments).current_dir(folder.path()).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    std::fs::write(place("package"), b"some bytes").expect("writes");
    let key = SecretKey::generate().expect("random numbers");
    std::fs::write(place("key.pub"), key.public().to_text()).expect("writes");
    std::fs::write(place("key.sec"), key.to_text()).expect("writes");
    let signature = key.sign(b"some bytes", "m@1.0.0").expect("signs");
    std::fs::write(place("package.minisig"), signature.to_text()).expect("writes");
    let (verified, said) = minisign(&["-V", "-p", "key.pub", "-m", "package"]);
    assert!(verified && said.contains("Trusted comment: m@1.0.0"), "{said}");

    let theirs = TrustedKeys::parse(&key.public().to_text()).expect("a key");
    // Hashed, and as before version 0.10.
    for more in [&["-H"][..], &["-l"]] {
        let arguments = [&["-S", "-s", "key.sec", "-m", "package", "-t", "by the tool"][..], more].concat();
        let (signed, said) = minisign(&arguments);
        assert!(signed, "{said}");
        let signature = Signature::parse(&read(&place("package.minisig"))).expect("a signature");
        assert_eq!(signature.trusted_comment, "by the tool");
        assert!(theirs.verify(&signature, b"some bytes").is_ok());
        assert!(theirs.verify(&signature, b"other bytes").is_err());
    }
    let (made, said) = minisign(&["-G", "-W", "-p", "own.pub", "-s", "own.sec"]);
    assert!(made, "{said}");
    let own = SecretKey::parse(&read(&place("own.sec"))).expect("a key without a password");
    assert_eq!(own.public().to_line(), PublicKey::parse(&read(&place("own.pub"))).expect("a key").to_line());
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("is there")
}
