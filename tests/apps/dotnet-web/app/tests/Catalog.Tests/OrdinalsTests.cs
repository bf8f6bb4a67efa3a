using Catalog.Core;
using Xunit;

public class OrdinalsTests
{
    [Fact]
    public void Twenty_one_ends_in_st() => Assert.Equal("21st", Ordinals.Of(21));
}
