//! SECURITY.md lists every unsafe block in `src` with its argument: the SAFETY comment above it, word for word. After a
//! change to one, run this with `RINIT_UPDATE=1` to write the list anew, and read what it says.

use std::fs;
use std::path::{Path, PathBuf};

tests! {
    requires [];
    every_unsafe_block_is_listed_with_its_argument,
}

const BEGIN: &str = "<!-- From here to the end written by tests/integration/security.rs: do not edit. -->\n";
const WIDTH: usize = 120;

fn every_unsafe_block_is_listed_with_its_argument() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = root.join("SECURITY.md");
    let text = fs::read_to_string(&document).unwrap();
    let (written, listed) = text.split_once(BEGIN).expect("SECURITY.md has lost its mark");
    let found = list(root);
    if std::env::var_os("RINIT_UPDATE").is_some() {
        fs::write(&document, [written, BEGIN, &found].concat()).unwrap();
    } else {
        assert_eq!(listed, found, "SECURITY.md is old: run this with RINIT_UPDATE=1, and read what it says");
    }
}

/// What an unsafe keyword stands before.
enum Unsafe<'a> {
    /// A block or an impl: where, and why it is sound.
    Argued(String, String),
    /// A function with a contract, a foreign item, or a symbol that replaces one of the C library's.
    Declared(&'a str),
}

/// The list, as markdown.
fn list(root: &Path) -> String {
    let mut sections = String::new();
    let (mut blocks, mut contracts, mut symbols) = (0, 0, Vec::new());
    for file in sources(&root.join("src")) {
        let source = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let mut section = String::new();
        for item in items(&name, &source) {
            match item {
                Unsafe::Argued(place, argument) => {
                    blocks += 1;
                    section += &wrapped(&format!("- {place}: {argument}"));
                }
                Unsafe::Declared(line) if line.starts_with("#[unsafe(no_mangle)]") => {
                    symbols.push(name.clone());
                }
                Unsafe::Declared(_) => contracts += 1,
            }
        }
        if !section.is_empty() {
            sections += &format!("\n### {name}\n\n{section}");
        }
    }
    symbols.dedup();
    let summary = format!(
        "{blocks} blocks. Also {contracts} declarations are unsafe: functions whose contract is in their documentation, \
         and the C library's `environ`. {} defines a symbol that the C library looks for.",
        symbols.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(" and ")
    );
    format!("\n{}{sections}", wrapped(&summary))
}

/// The source files below a directory, in an order that stays.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Every use of the keyword outside comments and unit tests.
fn items<'a>(file: &str, source: &'a str) -> Vec<Unsafe<'a>> {
    let lines: Vec<&str> = source.lines().take_while(|line| *line != "#[cfg(test)]").collect();
    let is_unsafe = |line: &str| !line.trim_start().starts_with("//") && words(line).any(|word| word == "unsafe");
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_unsafe(line)) {
        for keyword in line.match_indices("unsafe").map(|(start, _)| &line[start..]) {
            found.push(if keyword.starts_with("unsafe {") {
                let function = enclosing_function(&lines[..at], indent(line));
                Unsafe::Argued(format!("`{function}`"), argument(&lines[..at]).expect(file))
            } else if let Some(rest) = keyword.strip_prefix("unsafe impl ") {
                let implemented = rest.split(" {").next().unwrap();
                Unsafe::Argued(format!("`{implemented}`"), argument(&lines[..at]).expect(file))
            } else {
                Unsafe::Declared(line.trim_start())
            });
        }
    }
    found
}

/// The SAFETY comment that ends at most a few lines above.
fn argument(above: &[&str]) -> Option<String> {
    let start = above.iter().rposition(|line| line.trim_start().starts_with("// SAFETY: "))?;
    let comment: Vec<&str> = above[start..].iter().map_while(|line| line.trim_start().strip_prefix("// ")).collect();
    let statement = above.len() - start - comment.len();
    assert!(statement <= 2, "an unsafe block without an argument of its own after: {}", comment.join(" "));
    Some(comment.join(" ").strip_prefix("SAFETY: ")?.to_owned())
}

/// The function around a line with this indent.
fn enclosing_function<'a>(above: &[&'a str], inside: usize) -> &'a str {
    let is_head = |line: &&str| indent(line) < inside && words(line).any(|word| word == "fn");
    let head = above.iter().copied().rev().find(is_head).unwrap();
    words(head).skip_while(|word| *word != "fn").nth(1).unwrap()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A paragraph or an entry of a list, broken at spaces.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    let hanging = if text.starts_with("- ") { "  " } else { "" };
    for word in text.split(' ') {
        let last = lines.last_mut().unwrap();
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("{hanging}{word}"));
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
