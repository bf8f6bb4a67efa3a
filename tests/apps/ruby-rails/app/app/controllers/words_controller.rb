class WordsController < ActionController::Base
  def show
    stylesheet = helpers.asset_path("application.css")
    render json: { plural: "octopus".pluralize, digested: stylesheet.match?(%r{\A/assets/application-\h+\.css\z}) }
  end
end
