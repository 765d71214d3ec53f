//! How texts speak of what can be set, and of what must be.

use super::WordList;
use crate::import::document::Rich;

pub static ENVIRONMENT: WordList = WordList::new(&[
    "environment var",
    "environmental var",
    "environment-var",
    "environment setting",
    "environment option",
    "environment config",
    "environment file",
    "environment key",
    "environment value",
    "environment parameter",
    "environment `",
    "environment:",
    "as environment",
    "via environment",
    "by environment",
    "from environment",
    "the environment ",
    "env var",
    "env. var",
    "env-var",
    "envvar",
    "envs",
    " env ",
    "(env)",
    "(env.",
    "(env:",
    " env:",
    "环境变量",
    "環境變數",
    "環境変数",
    "umgebungsvariable",
    "variables d'environnement",
    "variable d'environnement",
    "variables d’environnement",
    "variables de entorno",
    "variable de entorno",
    "variáveis de ambiente",
    "variável de ambiente",
    "переменн",
    "환경 변수",
    "환경변수",
    ".env",
]);

/// Whether a text speaks of environment variables.
pub fn speaks_of_environment(rich: &Rich) -> bool {
    let text = rich.lower();
    rich.has(&ENVIRONMENT)
        || ["env ", "env:"].iter().any(|start| text.starts_with(start))
        || [" env", "the environment"].iter().any(|end| text.ends_with(end))
        || text == "env"
}

pub static REQUIRED: WordList = WordList::new(&[
    "required",
    "mandatory",
    "must be set",
    "obligator",
    "必须",
    "必需",
    "必填",
    "必須",
    "erforderlich",
    "pflicht",
    "requis",
    "obligatoire",
    "requerid",
    "obligatorio",
    "obrigatóri",
    "обязательн",
    "필수",
]);

pub static OPTIONAL: WordList = WordList::new(&[
    "optional",
    "not required",
    "可选",
    "选填",
    "任意",
    "省略可",
    "facultatif",
    "optionnel",
    "opcional",
    "необязательн",
    "опционально",
    "선택",
]);
