"""REST for the templates that flows can be made of."""

from __future__ import annotations

from typing import Final

from twisted.web.iweb import IRequest

from helix.flows.library import FlowLibrary
from helix.web.representations import outline_template
from helix.web.routes import make_app, write_json


class TemplateRoutes:
    """The routes under ``/api/templates``."""

    app: Final = make_app()

    def __init__(self, library: FlowLibrary) -> None:
        self._library = library

    @app.route("/api/templates", methods=["GET"])
    def list_templates(self, request: IRequest) -> bytes:
        outlines = [outline_template(template) for template in self._library.templates]
        return write_json(request, {"templates": outlines})

    @app.route("/api/templates/<template_id>", methods=["GET"])
    def template(self, request: IRequest, template_id: str) -> bytes:
        template = self._library.template(template_id)
        return write_json(request, outline_template(template) | {"document": template.document})
