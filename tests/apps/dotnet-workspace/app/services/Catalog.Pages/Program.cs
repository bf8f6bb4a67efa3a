using Catalog.Core;

var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => new { Ordinal = Ordinals.Of(21) });
app.Run();
