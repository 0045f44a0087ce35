"""The arena: history replayed causally, the forecaster beside every baseline.

:mod:`.run` puts the rooms together: fleets (:mod:`.fleet`), methods (:mod:`.methods`), decisions
through the product's own sizing (:mod:`.actuation`), what they reserve and violate
(:mod:`.sweep`), the frontier (:mod:`.envelope`) and its uncertainty (:mod:`.bootstrap`).
"""
