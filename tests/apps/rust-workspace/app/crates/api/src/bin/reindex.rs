fn main() {
    println!("{}", catalog::newest(["0.1.0", "0.2.0"]));
}
