"""A control port: `POST /ACTION` with a JSON object, which answers with one. The actions are the methods of a class,
their parameters the members of the object."""
from web import Answer


class Actions:
    def __init__(self, metadata):
        self._metadata = metadata

    def answer(self, state, request):
        action = self._actions().get(request.path.strip("/"))
        if action is None:
            raise Answer(404, f"the actions are {', '.join(self._actions())}")
        return Answer(200, action(self, state, **request.json()) or {})

    def _actions(self):
        known = {**vars(Actions), **vars(type(self))}
        return {name: action for name, action in known.items() if not name.startswith("_") and name != "answer"}

    def reset(self, state):
        self._metadata.stop()
        state.reset()

    def metadata(self, _state, on):
        """Whether the metadata service listens."""
        self._metadata.switch(on)

    def fail(self, state, **rule):
        """The next requests fail or get a wrong answer; see faults.py."""
        state.faults.add(rule)

    def heal(self, state):
        """No request fails any longer."""
        state.faults.rules.clear()

    def confided(self, state):
        """All that clients proved who they are with, and all tokens that they got for it."""
        return {"texts": sorted(state.confided | set(state.tokens))}

    def log(self, state):
        return {"requests": state.log}
