Rails.application.routes.draw do
  root "words#show"
end
