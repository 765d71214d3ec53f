//! What people type, and what they should get.

use super::*;

/// name | category | tags | triggers | description
const MODULES: &str = "
mosquitto | messaging | mqtt, broker | message broker, 消息队列 | MQTT broker
redis | database | cache | key value store | Store that can be a broker
mqtt-bridge | messaging | | | Bridges
immich | media | photos, backup | photo backup, 照片备份, 写真バックアップ | Keeps the pictures of your phone
adguard-home | network | dns, privacy | ad blocker, 广告拦截 | Network-wide blocking of ads and trackers
pihole | network | dns | ad blocking dns | A black hole for advertisements
vaultwarden | security | passwords | password manager, 密码管理 | Bitwarden compatible server
zigbee2mqtt | home automation | zigbee | | Bridges Zigbee devices
paperless-ngx | documents | ocr, scan | dokumente, büroklammer | Finds your scanned papers again
uptime-kuma | monitoring | status | 监控 | Watches whether services answer
";

#[test]
fn the_best_comes_first() {
    let cases = [
        ("redis", "redis"),
        ("mqtt", "mqtt-bridge zigbee2mqtt mosquitto"),
        ("broker", "mosquitto redis"),
        ("a message broker for my house", "mosquitto"),
        ("Database", "redis"),
        ("zigbee", "zigbee2mqtt"),
        ("vault", "vaultwarden"),
        ("paperless ngx", "paperless-ngx"),
        ("PaperlessNGX", "paperless-ngx"),
        ("pi hole", "pihole"),
        ("monitor", "uptime-kuma"),
        ("photo backups", "immich"),
        ("ad-blocker", "adguard-home pihole"),
        ("nothing like it: xylophone", ""),
    ];
    cases.iter().for_each(|(query, expected)| check(query, expected));
}

#[test]
fn slips_of_the_pen_are_forgiven_by_length() {
    let cases = [
        ("reddis", "redis"),
        ("rdeis", "redis"),
        ("mosqitto", "mosquitto"),
        ("vaulwardem", "vaultwarden"),
        ("vxxltwxrden", ""),
        ("dnz", ""),
        ("pasword manger", "vaultwarden"),
    ];
    cases.iter().for_each(|(query, expected)| check(query, expected));
}

#[test]
fn scripts_without_spaces_are_searched_as_they_are_written() {
    let cases = [
        ("装一个消息队列", "mosquitto"),
        ("消息", "mosquitto"),
        ("照片", "immich"),
        ("我想备份照片", "immich"),
        ("广告", "adguard-home"),
        ("密", "vaultwarden"),
        ("写真を保存したい", "immich"),
        ("バックアップ", "immich"),
        ("ばっくあっぷ", "immich"),
        ("ＭＱＴＴ消息队列", "mosquitto"),
        ("飞机", ""),
        ("Bueroklammer", "paperless-ngx"),
        ("BÜROKLAMMER", "paperless-ngx"),
    ];
    cases.iter().for_each(|(query, expected)| check(query, expected));
}

#[test]
fn a_query_without_words_finds_all_by_name() {
    let names = found("");
    assert_eq!(names.len(), 10);
    assert!(names.is_sorted());
    assert_eq!(found("  !? "), names);
}

#[test]
fn a_hit_says_which_words_it_has_and_where() {
    let hits = index().search("password mnagers");
    let matches: Vec<_> = hits[0].matches.iter().map(|m| (m.word.as_str(), m.field, m.kind)).collect();
    assert_eq!(matches, [("password", Field::Trigger, Kind::Exact), ("mnagers", Field::Trigger, Kind::Typo)]);
}

#[test]
fn endings_do_not_matter() {
    let same = [
        ["blocking", "blocker", "blocks", "block"],
        ["monitoring", "monitors", "monitored", "monitor"],
        ["libraries", "library", "library", "libraries"],
        ["messages", "message", "messaging", "messages"],
        ["boxes", "box", "boxes", "box"],
        ["databases", "database", "database", "databases"],
    ];
    for words in same {
        let stems = words.map(|word| words::stem(word).into_owned());
        assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
    }
    for (one, other) in [("dns", "dn"), ("status", "statu"), ("redis", "redi")] {
        assert_ne!(words::stem(one), words::stem(other), "{one}");
    }
}

#[test]
fn a_query_as_long_as_a_book_is_cut() {
    let book = "password ".repeat(100_000);
    assert_eq!(index().search(&book)[0].matches.len(), 64);
}

fn check(query: &str, expected: &str) {
    let names = found(query);
    let expected: Vec<&str> = expected.split_whitespace().collect();
    assert_eq!(names[..expected.len().min(names.len())], expected, "{query}: {names:?}");
    assert_eq!(names.is_empty(), expected.is_empty(), "{query}: {names:?}");
}

fn found(query: &str) -> Vec<String> {
    let index = index();
    index.search(query).into_iter().map(|hit| index.names[hit.document].clone()).collect()
}

fn index() -> Index {
    let list = |text: &str| -> Vec<String> {
        text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect()
    };
    let rows: Vec<_> = MODULES
        .trim()
        .lines()
        .map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let mut next = || cells.next().expect("five cells");
            (next(), next(), list(next()), list(next()), next())
        })
        .collect();
    Index::new(rows.iter().map(|(name, category, tags, triggers, description)| Searchable {
        name,
        category,
        tags,
        triggers,
        description,
    }))
}
