"""`propos chaos venue`: a day of trading on a faulty fake of each kind of venue."""
