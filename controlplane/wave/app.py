# Runs a module as `python3 -m` does. If that has defined an @app of h2o_wave and
# come to its end, the app is served at H2O_WAVE_APP_ADDRESS, as `wave run` does.
# The module's names are put beside those of this file: a function has its own.


def _slipway_run():
    import inspect
    import os
    import runpy
    import sys
    from urllib.parse import urlsplit

    del sys.argv[0]
    sys.path[0] = os.getcwd()
    runpy._run_module_as_main(sys.argv[0])  # what the interpreter itself does for -m

    wave = getattr(sys.modules.get("h2o_wave"), "main", None)
    if getattr(wave, "_app", None) is None:
        return  # a script: its end is the app's
    import uvicorn

    served = vars(sys.modules["__main__"]).get("main", wave)  # the module may have wrapped it
    if inspect.isroutine(served):
        served = wave
    address = urlsplit(os.environ["H2O_WAVE_APP_ADDRESS"])
    uvicorn.run(served, host=address.hostname, port=address.port)


if __name__ == "__main__":
    _slipway_run()
