//! How mistakes are put into words: where they are, and what was probably meant.

use cel::parser::pratt_parser::{Lexer, TokenKind};

/// Longer words are no typing errors, and comparing them takes the square of their length.
const LONGEST_WORD: usize = 32;

/// What people write who know other languages, and how it is written here.
type Elsewhere = [(&'static str, &'static str)];

pub(super) const OPERATORS: &Elsewhere = &[("and", "&&"), ("or", "||"), ("not", "!"), ("is", "=="), ("=", "==")];
pub(super) const CONSTANTS: &Elsewhere = &[("True", "true"), ("False", "false"), ("None", "null")];
pub(super) const FUNCTIONS: &Elsewhere = &[
    ("len", "size(x)"),
    ("lower", "x.matches('(?i)…')"),
    ("upper", "x.matches('(?i)…')"),
    ("str", "string(x)"),
    ("float", "double(x)"),
];

/// What to write for `word`, which is not a word of CEL.
pub(super) fn in_cel(word: &str, words: &Elsewhere) -> Option<String> {
    words.iter().find(|(other, _)| *other == word).map(|(_, here)| format!("write `{here}`"))
}

/// The nearest of `known`, where one is near.
pub(crate) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let distances = known.map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate));
    let (distance, nearest) = distances.min()?;
    (distance <= (word.len().min(nearest.len()) / 3).max(1)).then_some(nearest)
}

/// Where the byte at `offset` is in `text`, for people: `column 7`, or `line 2, column 4`.
pub(super) fn place(text: &str, offset: usize) -> String {
    let before: String = text.bytes().take(offset).map(char::from).collect();
    let line = before.matches('\n').count();
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    // Bytes that continue a character are no column of their own.
    let column = text.bytes().take(offset).skip(begin).filter(|byte| byte & 0xC0 != 0x80).count() + 1;
    if text.trim_end().contains('\n') { format!("line {}, column {column}", line + 1) } else { format!("column {column}") }
}

/// Where `name` first stands in `text`: where it is `called`, before a parenthesis, else as a name of
/// its own and not of a part of something.
pub(super) fn find(text: &str, name: &str, called: bool) -> Option<usize> {
    let mut lexer = Lexer::new(text);
    let (mut found, mut part) = (None, false);
    loop {
        let token = lexer.lex();
        match token.kind {
            TokenKind::TokEnd | TokenKind::TokError => return None,
            TokenKind::TokWhitespace | TokenKind::TokComment => {}
            TokenKind::TokLeftParen if found.is_some() => return found,
            TokenKind::TokIdent if text.get(token.start..token.end) == Some(name) && (called || !part) => {
                found = Some(token.start);
                if !called {
                    return found;
                }
            }
            other => (found, part) = (None, other == TokenKind::TokDot),
        }
    }
}

/// `text` as it may stand in a message: short, and without control characters.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", clip(text))
}

/// The same without the quotes.
pub(super) fn clip(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
