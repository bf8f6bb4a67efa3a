defmodule Greeter.Application do
  use Application

  @impl true
  def start(_type, _args) do
    port = Application.fetch_env!(:greeter, :port)
    Supervisor.start_link([{Greeter.Server, port}], strategy: :one_for_one)
  end
end
