//! The nearest known name for a wrong one.

/// The known name that is nearest to this one, and how many slips away it is.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    known.map(|name| (name, slips(word.as_bytes(), name.as_bytes()))).min_by_key(|(_, slips)| *slips)
}

/// The number of letters to add, remove, replace or swap with the next one to turn one word into
/// the other.
fn slips(one: &[u8], other: &[u8]) -> usize {
    // One row for each letter of `one`: the slips between the letters so far and each beginning of
    // `other`.
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, with) in other.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let mut fewest = (at(&last, column) + usize::from(letter != with))
                .min(at(&last, column + 1) + 1)
                .min(at(&next, column) + 1);
            let is_swapped = column > 0
                && row > 0
                && Some(letter) == column.checked_sub(1).and_then(|column| other.get(column))
                && Some(with) == row.checked_sub(1).and_then(|row| one.get(row));
            if is_swapped {
                fewest = fewest.min(at(&before_last, column - 1) + 1);
            }
            next.push(fewest);
        }
        before_last = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, other, expected) in [
            ("grace", "grace", 0),
            ("grce", "grace", 1),
            ("garce", "grace", 1),
            ("graces", "grace", 1),
            ("grade", "grace", 1),
            ("", "abc", 3),
            ("rewrite", "remap", 5),
        ] {
            assert_eq!(slips(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
            assert_eq!(slips(other.as_bytes(), one.as_bytes()), expected, "{other} {one}");
        }
        assert_eq!(nearest("grce", ["pause", "grace"].into_iter()), Some(("grace", 1)));
    }
}
