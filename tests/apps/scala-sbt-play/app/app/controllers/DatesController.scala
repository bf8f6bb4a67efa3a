package controllers

import java.time.LocalDate
import javax.inject.Inject
import play.api.mvc.*

class DatesController @Inject() (components: ControllerComponents) extends AbstractController(components):
  def weekday(date: String): Action[AnyContent] = Action:
    Ok(LocalDate.parse(date).getDayOfWeek.toString)
