//! The help texts in `src/cli/help` are what clap makes of the definition. After a change to it, run this with
//! `RINIT_UPDATE=1` to write them anew.

use std::fs;
use std::path::Path;

tests! {
    requires [];
    the_help_texts_are_those_of_the_definition,
}

fn the_help_texts_are_those_of_the_definition() {
    let texts = [
        ("short.txt", rinit::cli::definition::command().term_width(100).render_help().to_string()),
        ("long.txt", rinit::cli::definition::command().term_width(100).render_long_help().to_string()),
    ];
    for (name, rendered) in texts {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/help").join(name);
        // clap pads and ends lines as it likes; a text file does not.
        let rendered: String = rendered.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        if std::env::var_os("RINIT_UPDATE").is_some() {
            fs::write(&file, &rendered).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), rendered, "{name} is old: run this with RINIT_UPDATE=1");
    }
}
