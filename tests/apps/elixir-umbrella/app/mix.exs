defmodule Shop.Umbrella.MixProject do
  use Mix.Project

  def project do
    [
      apps_path: "apps",
      version: "0.1.0",
      start_permanent: Mix.env() == :prod,
      deps: [],
      releases: releases()
    ]
  end

  defp releases do
    [
      shop: [applications: [core: :permanent, web: :permanent], include_executables_for: [:unix]]
    ]
  end
end
