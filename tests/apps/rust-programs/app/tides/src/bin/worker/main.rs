fn main() {
    for (place, high) in tides::HIGH {
        println!("{place}: high water at {high}");
    }
}
