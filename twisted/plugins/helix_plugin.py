"""Makes ``twistd helix`` known to Twisted."""

from twisted.application.service import ServiceMaker

helix = ServiceMaker("Helix", "helix.tap", "A multiplayer server for node graphs", "helix")
