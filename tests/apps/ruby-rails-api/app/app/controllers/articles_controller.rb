class ArticlesController < ActionController::API
  def show
    render json: { article: params[:id].to_i, api: Rails.application.config.api_only, ordinal: params[:id].to_i.ordinalize }
  end
end
