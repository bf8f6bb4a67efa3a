import Config

config :greeter, template: "Hello, {{name}}, from {{language}}!"
