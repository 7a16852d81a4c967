"""The modules that earlier scripts, the desktop program and its workers import, over `orthoray`.

Names, argument orders, keys and numeric results are a contract; nothing here knows of Ray, Qt, HTTP or SQL.
"""
