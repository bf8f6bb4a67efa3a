use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use uuid::Uuid;

async fn root() -> Json<Value> {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://fleetpacks.example/");
    Json(json!({ "id": id.to_string(), "version": id.get_version_num() }))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "5000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    axum::serve(listener, Router::new().route("/", get(root))).await
}
