open System
open Microsoft.AspNetCore.Builder

let app = WebApplication.CreateBuilder().Build()
app.MapGet("/", Func<string>(fun () -> String.Join(" ", List.rev [ "world"; "hello" ]))) |> ignore
app.Run()
