//! The environment variables of a table: which column names them, which tells the default, which what is required.

use super::env::{in_context, short};
use super::env_required::requirement;
use super::env_variables::Variables;
use super::{env_default, env_text};
use crate::import::document::{Block, Rich, Row, Table};
use crate::import::facts::{Confidence, EnvFact};
use crate::import::reading::Reading;
use crate::import::text::without;
use crate::import::words::{self, WordList};

#[derive(Default, Clone, Copy)]
struct Columns {
    name: usize,
    default: Option<usize>,
    required: Option<usize>,
    optional: Option<usize>,
    description: Option<usize>,
}

static NAME: WordList = WordList::new(&[
    "variable",
    "env",
    "name",
    "key",
    "parameter",
    "param",
    "option",
    "setting",
    "变量",
    "變數",
    "名称",
    "参数",
    "配置项",
    "変数",
    "環境",
    "nom",
    "nombre",
    "nome",
    "имя",
    "переменная",
    "변수",
    "이름",
    "bezeichnung",
    "schlüssel",
    "clave",
    "clé",
    "chave",
    "ключ",
    "キー",
    "config",
]);
static DEFAULT: WordList = WordList::new(&[
    "default",
    "默认",
    "預設",
    "デフォルト",
    "既定",
    "初期値",
    "standard",
    "défaut",
    "defecto",
    "predetermin",
    "padrão",
    "умолчан",
    "기본",
    "缺省",
]);
static DESCRIPTION: WordList = WordList::new(&[
    "descri",
    "function",
    "purpose",
    "meaning",
    "beschreib",
    "说明",
    "描述",
    "作用",
    "说 明",
    "説明",
    "内容",
    "описание",
    "설명",
    "notes",
    "usage",
    "用途",
    "备注",
    "what",
]);

fn columns(header: &[Rich]) -> Columns {
    let mut columns = Columns { name: usize::MAX, ..Columns::default() };
    for (index, cell) in header.iter().enumerate() {
        let text = cell.lower();
        if DEFAULT.is_in(text) {
            columns.default.get_or_insert(index);
        } else if words::REQUIRED.is_in(text) || text.contains("是否") {
            columns.required.get_or_insert(index);
        } else if words::OPTIONAL.is_in(text) {
            columns.optional.get_or_insert(index);
        } else if DESCRIPTION.is_in(text) {
            columns.description.get_or_insert(index);
        } else if NAME.is_in(text) && columns.name == usize::MAX {
            columns.name = index;
        }
    }
    columns
}

pub fn from_table(reading: &Reading, index: usize, block: &Block, table: &Table, variables: &mut Variables) {
    let mut columns = columns(&table.header);
    let width = table.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0).min(12);
    // The column whose cells are names of variables.
    let named: Vec<Vec<Vec<String>>> =
        table.rows.iter().map(|row| row.cells.iter().take(width).map(names).collect()).collect();
    let count = |column: usize| {
        named.iter().filter(|row| row.get(column).is_some_and(|names| !names.is_empty())).count()
    };
    let is_option = |cell: &Rich| cell.text.trim_start().starts_with("-e ");
    let options = table.rows.iter().find_map(|row| row.cells.iter().position(is_option));
    let is_parameter_list = options.is_some();
    let headed = |column: usize| {
        let cell = table.header.get(column);
        cell.is_some_and(|cell| words::ENVIRONMENT.is_in(&words::padded(cell.lower())))
    };
    let rank = |column: &usize| (count(*column), headed(*column), usize::MAX - column);
    let most = || (0..width).max_by_key(rank);
    let Some(column) = options.filter(|column| *column < width).or_else(most) else { return };
    let fitting = count(column);
    // In a column headed as variables, a row without one leaves its cell empty.
    let is_headed = headed(column);
    let is_empty = |row: &&Row| {
        row.cells.get(column).is_none_or(|cell| cell.text.trim_matches([' ', '-', '–']).is_empty())
    };
    let empty = if is_headed { table.rows.iter().filter(is_empty).count() } else { 0 };
    if fitting == 0 || fitting * 2 < table.rows.len() - empty && !is_parameter_list {
        return;
    }
    columns.name = column;
    let header: String = table.header.iter().map(Rich::lower).collect::<Vec<_>>().join(" ");
    let by_header = words::ENVIRONMENT.is_in(&words::padded(&header)) || header.contains("variable");
    let is_long = |row: &&Vec<Vec<String>>| {
        row.get(column).is_some_and(|names| names.iter().any(|name| name.contains('_')))
    };
    let long = named.iter().filter(is_long).count();
    let in_context = by_header || is_parameter_list || in_context(reading, index, block);
    let is_titled = table.header.get(column).is_some_and(|cell| NAME.is_in(cell.lower()))
        && (columns.default.is_some() || columns.description.is_some() || columns.required.is_some());
    if !in_context && (long * 2 < fitting || !is_titled) {
        return;
    }
    // Where no column is headed as the description, the next one that is of no other kind.
    let others = [columns.default, columns.required, columns.optional];
    let next = (column + 1..width).find(|at| !others.contains(&Some(*at)));
    let prefix = prefix(reading, index, block);
    for (row, named) in table.rows.iter().zip(&named) {
        let cell = |at: Option<usize>| at.filter(|at| *at != column).and_then(|at| row.cells.get(at));
        let Some(name_cell) = row.cells.get(column) else { continue };
        if is_parameter_list
            && !name_cell.text.trim_start().starts_with("-e")
            && name_cell.text.trim_start().starts_with('-')
        {
            continue;
        }
        let described = cell(columns.description).or_else(|| next.and_then(|at| row.cells.get(at)));
        let description = described.map_or("", |cell| cell.text.trim());
        let stated = columns.default.map(|at| row.cells.get(at).and_then(env_default::default_of_cell));
        let stated = stated.or_else(|| env_default::default_in_words(name_cell).map(Some));
        let default = stated.unwrap_or_else(|| described.and_then(env_default::default_in_words));
        // "`80` (default)" in a column of examples.
        let default = default.or_else(|| {
            row.cells.iter().filter(|_| columns.default.is_none()).find_map(env_default::default_in_words)
        });
        let marked = cell(columns.required).map(|cell| is_yes(&cell.text));
        let spared = cell(columns.optional).map(|cell| is_yes(&cell.text).map(|is_optional| !is_optional));
        let required =
            marked.or(spared).unwrap_or_else(|| requirement(&format!("{} {description}", name_cell.text)));
        let example = name_cell
            .text
            .split_once('=')
            .filter(|_| is_parameter_list)
            .map(|(_, value)| value.trim().to_owned());
        // In a column headed so, a name in code is one whatever its case.
        let cased = Vec::from_iter(Some(name_cell).filter(|_| is_headed).and_then(name_of_any_case));
        let named = named.get(column).filter(|named| !named.is_empty()).unwrap_or(&cased);
        for name in named {
            let name = prefix
                .as_deref()
                .filter(|prefix| !name.starts_with(prefix))
                .map_or_else(|| name.clone(), |prefix| format!("{prefix}{name}"));
            variables.stands_alone(&name);
            let fact = EnvFact {
                name,
                default: default.clone(),
                example: example.clone(),
                required,
                description: short(description),
                is_commented: false,
            };
            variables.add(fact, reading.origin(row.line), Confidence::Read);
        }
    }
}

/// "Variables in the format `LAMP_{X}`": what the names of a table begin with, as the words before it say.
fn prefix(reading: &Reading, index: usize, block: &Block) -> Option<String> {
    let before = reading.document.blocks[..index]
        .iter()
        .rev()
        .take(20)
        .take_while(|before| before.section == block.section);
    let mut told = before.filter(|before| !before.is_code() && before.rich.has(&words::ENVIRONMENT));
    told.find_map(|before| {
        before.rich.code().find_map(|(_, code)| {
            let (prefix, gap) = code.split_at(code.find(['{', '<'])?);
            let is_gap = gap.ends_with(['}', '>']) && gap.chars().filter(|c| "{<".contains(*c)).count() == 1;
            let is_prefix = prefix.len() > 2
                && prefix.ends_with('_')
                && prefix.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            (is_gap && is_prefix).then(|| prefix.to_owned())
        })
    })
}

/// What a cell of a column for "required" says.
fn is_yes(text: &str) -> Option<bool> {
    let text = text.trim().to_lowercase();
    let yes = [
        "yes",
        "true",
        "✓",
        "✔",
        "✅",
        "☑",
        ":heavy_check_mark:",
        ":white_check_mark:",
        "x",
        "是",
        "必须",
        "必需",
        "必填",
        "必須",
        "○",
        "はい",
        "ja",
        "oui",
        "sí",
        "si",
        "sim",
        "да",
        "y",
        "required",
        "mandatory",
        "예",
        "필수",
        "⭕",
    ];
    let no = [
        "no",
        "false",
        "✗",
        "✘",
        "❌",
        "",
        "-",
        "否",
        "可选",
        "任意",
        "nein",
        "non",
        "não",
        "нет",
        "n",
        "optional",
        ":x:",
        "×",
        "아니오",
        "선택",
    ];
    if yes.contains(&text.as_str())
        || text.starts_with("yes")
        || text.starts_with('✅')
        || text.starts_with("required")
    {
        return Some(true);
    }
    (no.contains(&text.as_str()) || text.starts_with("no") || text.starts_with("optional")).then_some(false)
}

fn name_of_any_case(cell: &Rich) -> Option<String> {
    let code = cell.code().next().filter(|(at, _)| *at == 0).map_or("", |(_, code)| code);
    let name = code.split(['=', ':', ' ']).next().unwrap_or_default();
    let is_name = name.len() > 2
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().any(|c| c.is_ascii_uppercase() || c == '_');
    is_name.then(|| name.to_owned())
}

/// Whether nothing but signs that join stands around the code of a cell.
fn is_joined(cell: &Rich) -> bool {
    let is_sign = |text: &str| text.chars().all(|c| c.is_whitespace() || matches!(c, '/' | ',' | '|'));
    let mut at = 0;
    let is_around = cell.code().all(|(start, code)| {
        let before = cell.text.get(at..start);
        at = start + code.len();
        before.is_some_and(is_sign)
    });
    is_around && cell.text.get(at..).is_some_and(is_sign)
}

/// The variables that a cell names, if it names variables and little else.
fn names(cell: &Rich) -> Vec<String> {
    let text = cell.text.trim();
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Vec::new();
    }
    let mut found: Vec<String> = Vec::new();
    let codes = || cell.code().map(|(_, code)| code);
    let count = codes().count();
    for source in codes().chain(Some(text).filter(|_| count == 0)) {
        let source = ["-e ", "--env "].into_iter().fold(source.trim(), without);
        let source = without(source.trim(), "$").trim_matches(['{', '}']);
        let source = source.split('=').next().unwrap_or_default();
        for part in source.split([',', '/', '|', '\n']).map(str::trim) {
            let part = part
                .split(['=', ':', ' ', '(', '\u{a0}'])
                .next()
                .unwrap_or_default()
                .trim_matches(['*', '"', '\'', '`', '.']);
            if env_text::is_upper_name(part) && !found.iter().any(|known| known == part) {
                found.push(part.to_owned());
            }
        }
    }
    // "`lamp.age` / `LAMP_AGE`": one thing by the names that it has in several places.
    if (1..4).contains(&count) && is_joined(cell) {
        return found;
    }
    let starts = without(text.trim_start_matches(['`', '*', '$', '{', ' ']), "-e ").trim_start();
    if found.first().is_some_and(|first| starts.starts_with(first.as_str())) { found } else { Vec::new() }
}
