"""Stage report: figures, the report page and a Word file, from the tables of stage stats."""
