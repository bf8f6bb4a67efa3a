pub const HIGH: [(&str, &str); 2] = [("Hamburg", "06:12"), ("Husum", "03:40")];
