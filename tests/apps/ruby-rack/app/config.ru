# frozen_string_literal: true

require "json"
require "rack"

QUERY = "greeting[en]=hello&greeting[fr]=bonjour&names[]=world"

run lambda { |_environment|
  body = JSON.generate(Rack::Utils.parse_nested_query(QUERY))
  [200, { "content-type" => "application/json", "content-length" => body.bytesize.to_s }, [body]]
}
