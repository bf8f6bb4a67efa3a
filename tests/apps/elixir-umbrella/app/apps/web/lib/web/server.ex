defmodule Web.Server do
  @moduledoc "Answers every request with what the shop sells."
  use Task, restart: :permanent

  def start_link(port), do: Task.start_link(__MODULE__, :listen, [port])

  def listen(port) do
    {:ok, socket} = :gen_tcp.listen(port, [:binary, packet: :http_bin, active: false, reuseaddr: true])
    accept(socket)
  end

  defp accept(socket) do
    {:ok, connection} = :gen_tcp.accept(socket)
    spawn(fn -> answer(connection) end)
    accept(socket)
  end

  defp answer(connection) do
    case :gen_tcp.recv(connection, 0, 10_000) do
      {:ok, :http_eoh} -> respond(connection, Core.list())
      {:ok, _line} -> answer(connection)
      {:error, _reason} -> :gen_tcp.close(connection)
    end
  end

  defp respond(connection, body) do
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: #{byte_size(body)}\r\nconnection: close\r\n\r\n"
    :gen_tcp.send(connection, head <> body)
    :gen_tcp.close(connection)
  end
end
