"""From seeds and latents to pictures and films (F5).

`latents.py` reads what users write, `sources.py` makes w of it, `painter.py` draws, `sheets.py` and `contact_sheet.py`
arrange pictures; `walks.py` says where a film is at each frame, `films.py` draws the frames, `video.py` encodes them;
`directions.py` finds what can be changed, `edits.py` changes it.
"""
