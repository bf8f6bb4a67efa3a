Imports Microsoft.AspNetCore.Builder

Module Program
    Sub Main(args As String())
        Dim app = WebApplication.CreateBuilder(args).Build()
        Dim answer As Func(Of String) = Function() String.Join(" ", {"high", "water"})
        app.MapGet("/", CType(answer, [Delegate]))
        app.Run()
    End Sub
End Module
