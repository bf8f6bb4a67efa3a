using Humanizer;

namespace Catalog.Core;

public static class Ordinals
{
    public static string Of(int number) => number.Ordinalize();
}
