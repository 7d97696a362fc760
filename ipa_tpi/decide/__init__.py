"""The decision core: pure functions from values to a decision with a reason.

No I/O, clock, environment, randomness or logging anywhere below: time and everything that was
read are arguments.  A refusal is a value (`ipa_tpi.model.Refuse`), never an exception; the only
errors raised are those of a caller who broke a precondition.

* `digest`: what a digest is over.
* `identity`: who is who, and when two are two.
* `intake`: what may come in; entries and texts, strictly.
* `policy`: who may request and who may approve.
* `approval`: the state of a request, computed from its entries.
* `proof`: which proofs count.
* `authorization`: may this request run here, now.
"""
