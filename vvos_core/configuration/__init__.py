"""How ``vvos.toml`` and the environment become typed values: what `vvos_core.profile` is made of.

From the ground up:

- `document`: a file's values, and on which line each stands
- `environment`: the variables that override it
- `shapes`: what a type hint asks for
- `references`: ``{ env = … }`` and ``{ file = … }``
- `settings`: a raw table → a typed value, or all its mistakes
- `sections`: ``[api]`` and ``[broker]``
- `config`: `Config` and `Profile`
"""
