# frozen_string_literal: true

require "json"
require "mustermann"
require "sinatra/base"

# Which parts a path has, as Sinatra's own router sees them.
class Paths < Sinatra::Base
  PATTERN = Mustermann.new("/:shelf/:book(.:format)?")

  get("/") do
    content_type :json
    JSON.generate(PATTERN.params("/poetry/odes.txt"))
  end
end
