"""``make bench``: our node beside stock python-socketio and Node's Socket.IO, on this machine, in one run.

``servers`` starts them, ``load`` is the client, ``cases`` are what is measured, ``figures`` what a run found and what
is made of several, ``report`` and ``chart`` write it down.
"""
