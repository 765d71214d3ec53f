//! `[llm]` of config.toml: which models there are for each tier, and what may be spent on them.
//!
//! Keys are never in it: `key` names a secret of the fleet, `key-env` a variable of the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use llm::budget::{Cap, Caps};
use llm::money::{Money, Prices};
use llm::provider::openai::Dialect;
use llm::tier::Tier;
use modules::spec::units::parse_duration;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::local_model::Dialect as Dialects;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// What to write where nothing is configured; its first line says it by itself.
pub const EXAMPLE: &str =
    "name one in config.toml: as [[llm.low]] or [[llm.high]], or [llm.nodes.NODE] where a node has its own.
For a model of your own (Ollama; llama.cpp speaks `openai`):
  [[llm.low]]
  provider = \"ollama\"
  url = \"http://127.0.0.1:11434\"
  model = \"qwen3:4b\"
For one behind an API, whose key `orchestrator secret set anthropic-key` takes:
  [[llm.high]]
  provider = \"anthropic\"
  url = \"https://api.anthropic.com\"
  model = \"NAME\"
  key = \"anthropic-key\"
  price = { input = 3, output = 15 }   # USD per million tokens
  [llm.caps]
  plan = { money = 0.50 }
  day = { money = 2 }";

/// The models there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Llm {
    /// In order of preference.
    pub low: Vec<Model>,
    pub high: Vec<Model>,
    /// Models that nodes have themselves, for the LOW steps of runs there.
    pub nodes: BTreeMap<NodeName, Own>,
    caps: Limits,
}

/// A model on a node or beside it, which the node asks without the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Own {
    provider: OwnWire,
    url: String,
    model: String,
}

/// What a node can speak; there is no key on a node, so only what needs none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OwnWire {
    OpenAi,
    Ollama,
}

/// One model at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    pub provider: Wire,
    pub url: String,
    pub model: String,
    /// What it is called in messages and quotas; the host of the URL if not said.
    name: Option<String>,
    /// The secret that holds its key.
    pub key: Option<KeyName>,
    /// The variable that holds its key.
    pub key_env: Option<KeyName>,
    #[serde(default)]
    price: Price,
    pub dialect: Option<Spoken>,
    pub num_ctx: Option<u32>,
    pub keep_alive: Option<String>,
    pub think: Option<bool>,
    timeout: Option<Wait>,
}

/// The protocol it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    OpenAi,
    Anthropic,
    Ollama,
}

/// Which of the servers that speak like OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Spoken(pub Dialect);

/// The name of a secret or a variable; what looks like a key itself is refused and shown nowhere.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyName(String);

/// USD per million tokens; nothing for a model of one's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Price {
    input: Usd,
    output: Usd,
    cache_read: Option<Usd>,
    cache_write: Option<Usd>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Limits {
    plan: Limit,
    node: Limit,
    day: Limit,
    month: Limit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Limit {
    money: Option<Usd>,
    tokens: Option<u64>,
}

/// An amount, as a number or a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usd(Money);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Wait(Duration);

impl Llm {
    pub fn of(&self, tier: Tier) -> &[Model] {
        match tier {
            Tier::Low => &self.low,
            Tier::High => &self.high,
        }
    }

    pub fn caps(&self) -> Caps {
        let Limits { plan, node, day, month } = self.caps;
        Caps { plan: plan.cap(), node: node.cap(), day: day.cap(), month: month.cap() }
    }

    pub fn is_empty(&self) -> bool {
        self.low.is_empty() && self.high.is_empty()
    }
}

impl From<&Own> for v1::LocalModel {
    fn from(own: &Own) -> Self {
        let dialect = match own.provider {
            OwnWire::OpenAi => Dialects::Openai,
            OwnWire::Ollama => Dialects::Ollama,
        };
        Self { dialect: dialect.into(), url: own.url.clone(), model: own.model.clone() }
    }
}

impl Model {
    /// What it is called in messages and quotas.
    pub fn name(&self) -> String {
        let host = || self.url.split("//").nth(1).unwrap_or(&self.url).split('/').next().map(str::to_owned);
        // A password in the URL is refused later, and must not show before.
        let host = || host().map(|host| host.rsplit('@').next().unwrap_or_default().to_owned());
        self.name.clone().or_else(host).unwrap_or_default()
    }

    pub fn prices(&self) -> Prices {
        let Price { input, output, cache_read, cache_write } = self.price;
        Prices {
            input: input.0,
            output: output.0,
            cache_read: cache_read.map(|usd| usd.0),
            cache_write: cache_write.map(|usd| usd.0),
        }
    }

    /// How long an answer may take, where it is said.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout.map(|wait| wait.0)
    }

    /// The dialect of an endpoint like OpenAI's: OpenAI's own there, else what most others speak.
    pub fn dialect(&self) -> Dialect {
        let usual = if self.url.contains("//api.openai.com") { Dialect::OPENAI } else { Dialect::VLLM };
        self.dialect.map_or(usual, |spoken| spoken.0)
    }
}

impl Limit {
    fn cap(self) -> Cap {
        Cap { money: self.money.map(|usd| usd.0), tokens: self.tokens }
    }
}

impl KeyName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for KeyName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || !text.chars().all(is_fine) {
            return Err("a key is named, and a name has letters, digits, '-', '_' and '.'");
        }
        if looks_like_a_key(&text) {
            return Err(
                "this looks like a key itself, and keys are not kept in files like this one: store it with \
                        `orchestrator secret set NAME` and write key = \"NAME\"",
            );
        }
        Ok(Self(text))
    }
}

/// Keys have a prefix that everybody knows, or are long and have digits and both cases in them.
fn looks_like_a_key(text: &str) -> bool {
    let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
    let is_mixed =
        has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    text.starts_with("sk-") || text.len() > 64 || (text.len() >= 24 && is_mixed)
}

impl TryFrom<String> for Spoken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let unknown = "a dialect is one of openai, vllm, llama.cpp, openrouter, ollama, glm";
        Dialect::named(&text).map(Self).ok_or(unknown)
    }
}

impl TryFrom<String> for Wait {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Whoever asked must still be there when a reservation is given up.
        const LONGEST: Duration = Duration::from_secs(25 * 60);
        let wait = parse_duration(&text).map_err(|_| "a timeout is a duration such as 90s or 10m")?;
        if wait.is_zero() || wait > LONGEST {
            return Err("a timeout is more than nothing and at most 25m");
        }
        Ok(Self(wait))
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UsdVisitor)
    }
}

struct UsdVisitor;

impl Visitor<'_> for UsdVisitor {
    type Value = Usd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in USD such as 0.50")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Usd, E> {
        let amount = Money::parse(text).ok_or_else(|| E::custom("write an amount in USD such as 0.50"))?;
        Ok(Usd(amount))
    }

    fn visit_i64<E: Error>(self, amount: i64) -> Result<Usd, E> {
        self.visit_str(&amount.to_string())
    }

    fn visit_f64<E: Error>(self, amount: f64) -> Result<Usd, E> {
        self.visit_str(&amount.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_which_models_there_are_and_what_they_may_cost() {
        let text = "
            [[low]]
            provider = 'ollama'
            url = 'http://10.0.0.7:11434'
            model = 'qwen3:4b'
            num-ctx = 8192
            keep-alive = '30m'
            timeout = '5m'
            [[high]]
            provider = 'openai'
            url = 'https://api.openai.com/v1'
            model = 'big'
            key = 'openai-key'
            price = { input = 2.5, output = '10', cache-read = 1 }
            [nodes.attic]
            provider = 'openai'
            url = 'http://127.0.0.1:8080/v1'
            model = 'tiny'
            [caps]
            plan = { money = 0.50, tokens = 100000 }
            month = { money = 20 }";
        let llm: Llm = toml::from_str(text).expect("a valid section");
        assert_eq!(
            (llm.low[0].name().as_str(), llm.high[0].name().as_str()),
            ("10.0.0.7:11434", "api.openai.com")
        );
        assert_eq!(llm.high[0].dialect(), Dialect::OPENAI);
        assert_eq!(llm.low[0].timeout(), Some(Duration::from_secs(300)));
        let prices = llm.high[0].prices();
        assert_eq!(
            (prices.input, prices.cache_read),
            (Money::micros(2_500_000), Some(Money::micros(1_000_000)))
        );
        let attic = v1::LocalModel::from(&llm.nodes[&NodeName::parse("attic").expect("a name")]);
        assert_eq!((attic.dialect(), attic.model.as_str()), (Dialects::Openai, "tiny"));
        let caps = llm.caps();
        assert_eq!(caps.plan, Cap { money: Some(Money::micros(500_000)), tokens: Some(100_000) });
        assert_eq!((caps.day, caps.month.money), (Cap::default(), Some(Money::micros(20_000_000))));
        let example = EXAMPLE.lines().filter(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n");
        #[derive(Deserialize)]
        struct File {
            llm: Llm,
        }
        let file: File = toml::from_str(&example).expect("the example is valid");
        assert_eq!((file.llm.low.len(), file.llm.high.len()), (1, 1));
    }

    #[test]
    fn a_node_has_no_key_and_no_provider_that_needs_one() {
        let model = "url = 'http://127.0.0.1:1'\nmodel = 'm'";
        for (head, wrong) in [
            ("[nodes.attic]\nprovider = 'anthropic'", "unknown variant `anthropic`"),
            ("[nodes.attic]\nprovider = 'ollama'\nkey = 'k'", "unknown field `key`"),
            ("[nodes.'no name']\nprovider = 'ollama'", "node"),
        ] {
            let error = toml::from_str::<Llm>(&format!("{head}\n{model}")).expect_err(head);
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_key_in_the_file_is_refused() {
        for key in ["sk-ant-api03-abc", "AIzaSyA1234567890abcdefghijklmno", "not a name"] {
            let text = format!("[[low]]\nprovider = 'openai'\nurl = 'http://x'\nmodel = 'm'\nkey = '{key}'");
            let mut error = toml::from_str::<Llm>(&text).expect_err("a key");
            error.set_input(None);
            assert!(!error.to_string().contains(key), "{error}");
        }
    }
}
