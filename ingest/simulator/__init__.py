"""The stand-in for Logplex: frames, deliveries, a sender that behaves as Heroku's does, and a made-up day.

``framing`` makes deliveries, ``targets`` carries one to a URL or a file, ``logplex`` decides about tries,
losses and repeats, ``live`` adds the small buffer of a drain, and ``shop`` invents a day of a PHP shop.
"""
