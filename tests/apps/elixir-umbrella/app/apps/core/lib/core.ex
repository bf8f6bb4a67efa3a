defmodule Core do
  @moduledoc "What the shop sells."

  @template "{{#goods}}{{name}}: {{price}}\n{{/goods}}"

  def list do
    goods = [%{"name" => "tea", "price" => 3}, %{"name" => "cup", "price" => 7}]
    :bbmustache.render(@template, %{"goods" => goods}, key_type: :binary)
  end
end
