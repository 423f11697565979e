"""Unrolls a hierarchy of parsed modules: checks every connection and finds every register and memory.

This is what a synthesis tool does before it infers hardware, reduced to what Verilog-2005 composition needs:
parameters, generate loops and conditions, named connections. The result depends only on the text of the
modules, so it holds for the printed files and not merely for what the generator meant to print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fitact_hw.verilog.ast import Node, children, node, show
from fitact_hw.verilog.errors import GeneratorError
from fitact_hw.verilog.evaluate import Scope, Signal, range_bits, value, width

Parameters = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Register:
    """A target of non-blocking assignments under a clock edge.

    ``path`` is relative to the module it was asked of; ``width`` bits a word, ``depth`` words (1 for a
    flip-flop), ``module`` the module that declares it.
    """

    path: str
    module: str
    name: str
    width: int
    depth: int


@dataclass(frozen=True)
class Instance:
    """One instance: path relative to its parent module, module name and all parameter values."""

    path: str
    module: str
    parameters: Parameters


@dataclass
class Body:
    """What one module holds for given parameters; paths relative to the module."""

    module: str
    scope: Scope
    instances: list[Instance] = field(default_factory=list)
    registers: dict[str, Register] = field(default_factory=dict)


class Design:
    """A set of modules that may instantiate each other."""

    def __init__(self, modules: Mapping[str, Node]) -> None:
        self.modules = dict(modules)
        self._bodies: dict[tuple[str, Parameters], Body] = {}
        self._headers: dict[tuple[str, Parameters], tuple[Scope, Parameters]] = {}

    def body(self, module: str, parameters: Parameters = ()) -> Body:
        """Unroll ``module`` with overridden ``parameters``; raises GeneratorError for a bad connection."""
        key = (module, parameters)
        if key not in self._bodies:
            scope, _ = self.header(module, parameters)
            body = Body(module, scope)
            self._items(self.modules[module].items, scope, body)
            self._bodies[key] = body
        return self._bodies[key]

    def registers(self, top: str) -> Iterator[Register]:
        """Every register and memory below ``top``, paths relative to it, in the order of the hierarchy."""
        yield from self._registers(top, (), "")

    def instances(self, top: str) -> Iterator[Instance]:
        """Every instance below ``top``, paths relative to it, parents before children."""
        yield from self._instances(top, (), "")

    def _registers(self, module: str, parameters: Parameters, prefix: str) -> Iterator[Register]:
        body = self.body(module, parameters)
        for register in body.registers.values():
            yield Register(prefix + register.path, module, register.name, register.width, register.depth)
        for instance in body.instances:
            yield from self._registers(instance.module, instance.parameters, f"{prefix}{instance.path}.")

    def _instances(self, module: str, parameters: Parameters, prefix: str) -> Iterator[Instance]:
        for instance in self.body(module, parameters).instances:
            path = prefix + instance.path
            yield Instance(path, instance.module, instance.parameters)
            yield from self._instances(instance.module, instance.parameters, f"{path}.")

    def header(self, module: str, parameters: Parameters) -> tuple[Scope, Parameters]:
        """Scope with parameters and ports of ``module``, and the values of all its parameters."""
        key = (module, parameters)
        if key not in self._headers:
            if module not in self.modules:
                raise GeneratorError(f"module {module} does not exist")
            definition = self.modules[module]
            scope, given = Scope(), dict(parameters)
            for declaration in definition.paramlist.params if definition.paramlist else ():
                for item in declaration.list if isinstance(declaration, node.Decl) else (declaration,):
                    override = given.pop(item.name, None)
                    scope.constants[item.name] = value(item.value, scope) if override is None else override
            if given:
                raise GeneratorError(f"{module} has no parameter {', '.join(given)}")
            for port in ports(definition):
                scope.signals[port.name] = Signal(range_bits(port.width, scope))
            self._headers[key] = (scope, tuple(scope.constants.items()))
        return self._headers[key]

    def _items(self, items: tuple[Node, ...], scope: Scope, body: Body) -> None:
        for item in items:
            if isinstance(item, node.Decl):
                try:
                    _declare(item, scope)
                except GeneratorError as error:
                    raise GeneratorError(f"{body.module}: {error}") from None
        for item in items:
            if isinstance(item, node.InstanceList):
                self._connect(item, scope, body)
            elif isinstance(item, node.Always):
                _collect_registers(item, scope, body)
            elif isinstance(item, node.GenerateStatement):
                self._items(item.items, scope, body)
            elif isinstance(item, node.ForStatement):
                self._loop(item, scope, body)
            elif isinstance(item, node.IfStatement):
                chosen = item.true_statement if value(item.cond, scope) else item.false_statement
                if chosen is not None:
                    self._items((chosen,), scope, body)
            elif isinstance(item, node.Block):
                self._block(item, scope, {}, "", body)

    def _loop(self, loop: Node, scope: Scope, body: Body) -> None:
        name = loop.pre.left.var.name
        index = value(loop.pre.right, scope)
        while True:
            turn = Scope({name: index}, parent=scope)
            if not value(loop.cond, turn):
                return
            self._block(loop.statement, scope, {name: index}, f"[{index}]", body)
            index = value(loop.post.right, turn)

    def _block(self, block: Node, scope: Scope, constants: dict[str, int], suffix: str, body: Body) -> None:
        if not isinstance(block, node.Block) or not block.scope:
            raise GeneratorError(f"{body.module}: every generate block needs begin, end and a name")
        inner = Scope(constants, parent=scope, prefix=f"{scope.prefix}{block.scope}{suffix}.")
        self._items(block.statements, inner, body)

    def _connect(self, instances: Node, scope: Scope, body: Body) -> None:
        for item in instances.instances:
            path = scope.prefix + item.name
            where = f"{body.module}: instance {path} of {item.module}"
            if item.module not in self.modules:
                raise GeneratorError(f"{where}: there is no such module")
            given = []
            for argument in item.parameterlist:
                if argument.paramname is None:
                    raise GeneratorError(f"{where}: parameters must be given by name")
                given.append((argument.paramname, value(argument.argname, scope)))
            try:
                inner, parameters = self.header(item.module, tuple(given))
            except GeneratorError as error:
                raise GeneratorError(f"{where}: {error}") from None
            _check_ports(self.modules[item.module], item.portlist, scope, inner, where)
            body.instances.append(Instance(path, item.module, parameters))


def ports(module: Node) -> Iterator[Node]:
    """The ``Input``/``Output`` node of every port, in order."""
    for port in module.portlist.ports if module.portlist else ():
        if not isinstance(port, node.Ioport):
            raise GeneratorError(f"{module.name}: ports must be declared in the module header")
        yield port.first


def _declare(declaration: Node, scope: Scope) -> None:
    for item in declaration.list:
        if not isinstance(item, node.Assign | node.Genvar) and (
            item.name in scope.signals or item.name in scope.constants
        ):
            raise GeneratorError(f"{item.name} is declared twice")
        if isinstance(item, node.Parameter):
            if not isinstance(item.value.var, node.FunctionCall):  # a table, of which only the width matters here
                scope.constants[item.name] = value(item.value, scope)
            if item.width is not None:
                scope.signals[item.name] = Signal(range_bits(item.width, scope))
        elif isinstance(item, node.Wire | node.Reg | node.Integer):
            lengths = item.dimensions.lengths if item.dimensions else ()
            depth = 1
            for length in lengths:
                depth *= range_bits(length, scope)
            scope.signals[item.name] = Signal(range_bits(item.width, scope), depth)


def _targets(statement: Node) -> Iterator[str]:
    for item in children(statement):
        if isinstance(item, node.NonblockingSubstitution):
            todo = [item.left.var]
            while todo:
                target = todo.pop(0)
                if isinstance(target, node.LConcat | node.Concat):
                    todo.extend(target.list)
                elif isinstance(target, node.Pointer | node.Partselect | node.Lvalue):
                    todo.append(target.var)
                else:
                    yield target.name


def _collect_registers(always: Node, scope: Scope, body: Body) -> None:
    if not any(item.type == "posedge" for item in always.sens_list.list):
        return
    for name in dict.fromkeys(_targets(always.statement)):
        home = scope.home(name)
        if home is None:
            raise GeneratorError(f"{body.module}: register {name} is not declared")
        signal = home.signals[name]
        path = home.prefix + name
        body.registers[path] = Register(path, body.module, name, signal.width, signal.depth)


def _check_ports(module: Node, connections: tuple[Node, ...], outer: Scope, inner: Scope, where: str) -> None:
    known = {port.name: port for port in ports(module)}
    seen = set()
    for connection in connections:
        name = connection.portname
        if name is None:
            raise GeneratorError(f"{where}: ports must be connected by name")
        if name not in known:
            raise GeneratorError(f"{where}: port {name} does not exist")
        if name in seen:
            raise GeneratorError(f"{where}: port {name} is connected twice")
        seen.add(name)
        if connection.argname is None:
            if isinstance(known[name], node.Input):
                raise GeneratorError(f"{where}: input {name} is left open")
            continue
        try:
            bits = width(connection.argname, outer)
        except GeneratorError as error:
            raise GeneratorError(f"{where}: port {name}: {error}") from None
        wanted = inner.signals[name].width
        if bits != wanted:
            text = show(connection.argname)
            raise GeneratorError(f"{where}: port {name} has {wanted} bits, {text} has {bits}")
    missing = [name for name in known if name not in seen]
    if missing:
        raise GeneratorError(f"{where}: port {', '.join(missing)} is not connected")
