using System;
using System.Net;
using System.Numerics;
using System.Text;

static class Program
{
    static void Main()
    {
        var port = Environment.GetEnvironmentVariable("PORT") ?? "5000";
        var listener = new HttpListener();
        listener.Prefixes.Add("http://*:" + port + "/");
        listener.Start();
        while (true)
        {
            var context = listener.GetContext();
            var body = Encoding.UTF8.GetBytes("2^128 = " + BigInteger.Pow(2, 128));
            context.Response.ContentType = "text/plain";
            context.Response.ContentLength64 = body.Length;
            context.Response.OutputStream.Write(body, 0, body.Length);
            context.Response.Close();
        }
    }
}
