//! Tables of reStructuredText: grid, simple, list-table, csv-table.

pub struct Row {
    pub line: u32,
    pub is_header: bool,
    pub cells: Vec<String>,
}

/// Whether a line is the border of a table.
pub fn is_border(line: &str) -> bool {
    let grid = line.starts_with("+-") || line.starts_with("+=");
    let plain = |mark: char| line.chars().all(|c| c == mark || c == ' ');
    let simple = line.starts_with("==") && line.contains(' ') && plain('=');
    (grid && line.ends_with('+')) || simple
}

/// How many lines the table has that the text begins with.
pub fn height(lines: &[&str]) -> usize {
    let is_grid = lines.first().is_some_and(|line| line.trim_start().starts_with('+'));
    if is_grid {
        return lines.iter().take_while(|line| line.trim_start().starts_with(['+', '|'])).count().max(1);
    }
    let borders: Vec<usize> = lines
        .iter()
        .take(2000)
        .enumerate()
        .filter(|(_, line)| is_border(line.trim()))
        .map(|(at, _)| at)
        .collect();
    // A simple table has a border above, perhaps one under its header, and one below.
    let last = borders.get(2).or(borders.get(1)).copied().unwrap_or(0);
    let gap = borders.get(1).is_some_and(|second| {
        borders.get(2).is_none() || lines[*second + 1..].first().is_none_or(|line| line.trim().is_empty())
    });
    let last = if gap { borders.get(1).copied().unwrap_or(0) } else { last };
    last + 1
}

pub fn read(lines: &[&str], first: u32) -> Vec<Row> {
    let is_grid = lines.first().is_some_and(|line| line.trim_start().starts_with('+'));
    if is_grid { grid(lines, first) } else { simple(lines, first) }
}

fn number(first: u32, index: usize) -> u32 {
    first + u32::try_from(index).unwrap_or(0)
}

fn grid(lines: &[&str], first: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut open: Option<Row> = None;
    for (index, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.starts_with('+') {
            if let Some(mut row) = open.take() {
                row.is_header = line.starts_with("+=");
                rows.push(row);
            }
            continue;
        }
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        match &mut open {
            Some(row) => append(row, cells),
            None => open = Some(Row { line: number(first, index), is_header: false, cells: cells.collect() }),
        }
    }
    rows.extend(open);
    rows
}

fn append(row: &mut Row, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        match row.cells.get_mut(index) {
            Some(known) if !cell.is_empty() => *known = format!("{known} {cell}"),
            Some(_) => {}
            None => row.cells.push(cell),
        }
    }
}

fn simple(lines: &[&str], first: u32) -> Vec<Row> {
    let Some(border) = lines.first() else { return Vec::new() };
    let columns = columns(border);
    let borders = lines.iter().filter(|line| is_border(line.trim())).count();
    let mut rows: Vec<Row> = Vec::new();
    let mut is_header = borders > 2;
    for (index, line) in lines.iter().enumerate().skip(1) {
        if is_border(line.trim()) {
            is_header = false;
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let cells: Vec<String> = cut(line, &columns);
        match rows.last_mut() {
            Some(row) if cells.first().is_some_and(String::is_empty) => append(row, cells.into_iter()),
            Some(_) | None => rows.push(Row { line: number(first, index), is_header, cells }),
        }
    }
    rows
}

/// Where the columns begin.
fn columns(border: &str) -> Vec<usize> {
    let bytes = border.as_bytes();
    let begins = |index: &usize| bytes[*index] == b'=' && (*index == 0 || bytes[*index - 1] == b' ');
    (0..bytes.len()).filter(begins).collect()
}

fn cut(line: &str, columns: &[usize]) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let part = |(index, start): (usize, &usize)| {
        let end = columns.get(index + 1).copied().unwrap_or(characters.len()).min(characters.len());
        let cell = characters.get(*start..end).unwrap_or_default();
        cell.iter().collect::<String>().trim().to_owned()
    };
    columns.iter().enumerate().map(part).collect()
}

/// `* - cell` begins a row, `  - cell` a further cell.
pub fn list(body: &str, first: u32) -> Vec<Row> {
    let headers = body.lines().filter_map(|line| line.trim().strip_prefix(":header-rows:"));
    let headers: usize = headers.filter_map(|count| count.trim().parse().ok()).next().unwrap_or(0);
    let mut rows: Vec<Row> = Vec::new();
    for (index, line) in body.lines().enumerate() {
        let text = line.trim();
        if let Some(cell) = text.strip_prefix("* -") {
            let is_header = rows.len() < headers;
            rows.push(Row { line: number(first, index + 1), is_header, cells: vec![cell.trim().to_owned()] });
        } else if let Some(row) = rows.last_mut() {
            match (text.strip_prefix('-'), row.cells.last_mut()) {
                (Some(cell), _) => row.cells.push(cell.trim().to_owned()),
                (None, Some(cell)) if !text.is_empty() => *cell = format!("{cell} {text}"),
                (None, _) => {}
            }
        }
    }
    rows
}

pub fn csv(body: &str, first: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, line) in body.lines().enumerate() {
        let text = line.trim();
        if let Some(header) = text.strip_prefix(":header:") {
            rows.insert(0, Row { line: number(first, index + 1), is_header: true, cells: fields(header) });
        } else if !text.is_empty() && !text.starts_with(':') {
            rows.push(Row { line: number(first, index + 1), is_header: false, cells: fields(text) });
        }
    }
    rows
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => {
                if let Some(field) = fields.last_mut() {
                    field.push(c);
                }
            }
        }
    }
    fields.iter().map(|field| field.trim().to_owned()).collect()
}
