//! Which sentence says what the project is: one rule, one text.

use super::readme;

/// Every text says it in a sentence with `lamps` in it, and has others that only sound like it.
#[test]
fn the_sentence_that_says_it_is_found_among_others() {
    let texts = [
        // What the reader should do first.
        "# lantern - keeper of lamps\n\n### Requirements\n\nYou should be running a version of Wick to run lantern.\n\n### Links & Resources\n\n- here\n",
        "# lantern: keeper of lamps - made of wicks\n\n## Installation\n\nBefore using lantern, install wick.\n",
        // A motto right below the title.
        "# Lantern List\n\n> A curated list of good lamps and wicks.\n\n**Just go [there](https://lamps.invalid)**\n\n*You might also like [wicks](https://wicks.invalid).*\n",
        // A sentence about another project.
        "# Lantern\n\n> Going where no lamps have gone before.\n\n# Servers\n\n[node-wick](https://wicks.invalid/node) is a popular server of wicks.\n",
        // Its terms, where to write to and where to get it.
        "# Lantern\n\nAll may have the software under the GPLv3 terms.\n\nQuestions to info@lantern.invalid\n\n# Was ist das?\n\nSteuerung for lamps and their keepers.\n\n# Shop\n\nYou get lantern at\n\n    https://lantern.invalid/shop\n",
    ];
    for text in texts {
        let found = readme(text).facts.description.map(|found| found.value).unwrap_or_default();
        assert!(found.contains("lamps"), "{found:?} of {text}");
    }
}

#[test]
fn the_name_without_its_role_is_the_name_too() {
    let mut files = super::Files::default();
    let text = "# lantern-server\n\nlantern shows your lamps to the world!\n\n## More\n\nThe default lantern client connects to the public server.\n";
    files.insert("README.md", text.as_bytes());
    let source = super::Source::of_url("https://github.com/owner/lantern-server");
    let import = super::import(&files, &source).expect("it is text");
    let found = import.facts.description.map(|found| found.value).unwrap_or_default();
    assert!(found.starts_with("lantern shows your lamps"), "{found}");
}
