"""The speed benchmark of diffir: ``python -m tools.speed``, from the root of the repository.

``plan`` reads the flags, ``contenders`` builds what is timed, ``cells`` measures it, ``turns``, ``machine`` and
``memory`` are its instruments, ``reference`` is the literal network, ``report`` and ``plot`` write the results.
``compare_runtimes``, ``training_throughput``, ``peers`` and ``gpu`` are commands of their own. ``gpu_parts``,
``gpu_contenders``, ``gpu_rows`` and ``traffic`` belong to ``gpu``. ``first_stage`` is what
``training_throughput``, ``gpu`` and ``tools.profile_step`` measure.
"""
