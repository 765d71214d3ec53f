//! Compound commands of the shell: conditions, loops, `case`, functions.

use super::{Command, MAX_DEPTH, Parser, Pipeline};

impl Parser {
    pub(super) fn close(&mut self, end: &str) {
        if !self.take(end) {
            self.broken();
        }
    }

    /// `if … then … fi` and loops: everything inside is one body.
    pub(super) fn sections(&mut self, command: &mut Command, begin: &str, middle: &[&str], end: &str) {
        self.at += begin.len();
        let ends: Vec<&str> = middle.iter().copied().chain([end]).collect();
        loop {
            command.body.extend(self.list(&ends));
            let keyword = self.keyword();
            if !ends.contains(&keyword.as_str()) {
                return self.broken();
            }
            self.at += keyword.len();
            if keyword == end {
                return;
            }
        }
    }

    pub(super) fn for_loop(&mut self, command: &mut Command, begin: &str) {
        self.at += begin.len();
        self.blanks();
        if self.starts_with("((") {
            self.arithmetic();
        } else {
            let name = self.keyword();
            self.at += name.chars().count();
            command.variable = Some(name);
            self.blanks_and_lines();
            if self.keyword() == "in" {
                self.at += 2;
                loop {
                    self.blanks();
                    match self.word() {
                        Some(word) => command.words.push(word),
                        None => break,
                    }
                }
            }
        }
        self.blanks();
        self.take(";");
        self.blanks_and_lines();
        match self.keyword().as_str() {
            "do" => self.sections(command, "do", &[], "done"),
            "{" => self.sections(command, "{", &[], "}"),
            _ => self.broken(),
        }
    }

    pub(super) fn case(&mut self, command: &mut Command) {
        self.at += "case".len();
        self.blanks();
        self.word();
        self.blanks_and_lines();
        if self.keyword() != "in" {
            return self.broken();
        }
        self.at += 2;
        loop {
            self.blanks_and_lines();
            if self.keyword() == "esac" {
                self.at += "esac".len();
                return;
            }
            self.take("(");
            loop {
                self.blanks();
                if self.word().is_none() && !self.take("|") {
                    break;
                }
            }
            if !self.take(")") {
                return self.broken();
            }
            command.body.extend(self.list(&["esac"]));
            if self.take(";;") {
                self.take("&");
            } else if self.keyword() != "esac" {
                return self.broken();
            }
        }
    }

    /// What follows the name of a function.
    pub(super) fn function(&mut self, command: &mut Command, name: String) {
        self.blanks();
        if self.take("(") {
            self.blanks();
            self.close(")");
        }
        self.blanks_and_lines();
        command.function = Some(name);
        self.depth += 1;
        self.is_too_much |= self.depth > MAX_DEPTH;
        if self.depth <= MAX_DEPTH
            && let Some(body) = self.command()
        {
            command.body = vec![Pipeline { commands: vec![body], is_background: false }];
        }
        self.depth -= 1;
    }
}
