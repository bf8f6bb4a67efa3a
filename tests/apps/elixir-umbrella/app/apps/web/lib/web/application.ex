defmodule Web.Application do
  use Application

  @impl true
  def start(_type, _args) do
    port = Application.fetch_env!(:web, :port)
    Supervisor.start_link([{Web.Server, port}], strategy: :one_for_one)
  end
end
