"""The executor of one host: authorises and dispatches; unprivileged, without a network listener.

* `daemon`: start, threads, stop.
* `watch`: what wakes it: persistent search, poll, deadlines.
* `socket`: the local socket.
* `dispatch`: the ten steps.
* `claims`: the journal that makes every request run at most once.
* `operations`: the closed table of what it can do.
* `polkit`: the rule that gives it exactly that.
"""
