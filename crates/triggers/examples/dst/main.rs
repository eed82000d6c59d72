//! What schedules do when clocks are changed: `cargo run -p flyball-triggers --example dst [YEAR]`
//! prints a table, one line a change in each of twelve zones.

mod table;

fn main() {
    let year = std::env::args().nth(1).and_then(|year| year.parse().ok()).unwrap_or(2026);
    print!("{}", table::of(year));
}
