use tiny_http::{Response, Server};

fn main() {
    let port = std::env::var("PORT").unwrap_or_else(|_| "5000".to_owned());
    let server = Server::http(format!("0.0.0.0:{port}")).expect("the port is free");
    let template = std::fs::read_to_string("templates/answer.txt").expect("templates lie beside the program");
    for request in server.incoming_requests() {
        let newest = catalog::newest(["1.9.0", "1.10.0-rc.1", "1.10.0", "1.2.12"]);
        let answer = template.trim().replace("NEWEST", &newest).replace("BUILT_BY", env!("BUILT_BY"));
        let _ = request.respond(Response::from_string(answer));
    }
}
