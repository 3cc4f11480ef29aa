// Package python has what every program needs that runs apps in Python: the
// launcher of a server, and a command line that runs a bundle by itself. It lets
// interpreters say who they are, and names the virtual environment that a
// bundle's requirements.txt and wheels make with one of them. It installs
// nothing.
package python
